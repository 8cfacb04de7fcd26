"""The process between broker and database: messages in, micro-batches committed, acknowledgements out."""
