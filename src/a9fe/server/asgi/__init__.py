"""Between HTTP and the operations: connections, callers, bodies, transactions, errors."""
