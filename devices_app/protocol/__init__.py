"""How devices talk: topics, payloads, credentials and file blocks, as pure functions.

Nothing here does I/O or knows a framework. Formats: vendor reference §4; what real clients need beyond it: interop.md.
"""
