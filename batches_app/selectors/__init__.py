"""What pages, answers and live frames read of batches and tasks. Reads only; bounded numbers of queries and rows."""
