"""Files of posts, read as a stream of records with named columns, all of them strings.

    byte_stream        bytes, decompressed and hashed
    encoding           which encoding, and the bytes as UTF-8
    form               what a file is: format, dialect, header, layout known by sight
    lines              blocks of whole lines
    delimited, json_records, parquet, excel      the records of each format
    posts              the JSON of X, Bluesky, Mastodon and Reddit, as flat rows
    files              all of them behind one function
    records            values with types, and the rules on them
    reject_reasons     why a row is rejected

No line is lost: each becomes a record, or is rejected with its reason. A file of another kind is refused as a whole,
in a sentence; one that is still being written is left for later (`NotReadyError`).
"""
