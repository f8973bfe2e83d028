-- Flush the folder when the journal is removed, which is the moment of the commit.
pragma synchronous = extra;
