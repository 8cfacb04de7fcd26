"""A fleet of simulated devices that talk exactly as real ones do: over MQTT and HTTP, with the vendor's payloads.

It knows the protocol and nothing of the console: no models, no settings.
"""
