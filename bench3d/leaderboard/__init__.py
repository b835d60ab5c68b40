"""Tables, statistics, pages and submissions made of records. No torch, but where `verify` runs samples again."""
