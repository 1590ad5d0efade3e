"""All queries: one repository a kind of record, in transactions of the caller's."""
