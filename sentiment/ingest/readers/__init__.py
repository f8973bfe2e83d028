"""Files of tweets, read as a stream of typed records.

    from sentiment.readers import fingerprint, read_chunks

    found = fingerprint("tweets.csv.gz")
    for chunk in read_chunks("tweets.csv.gz", expected=found):
        chunk.records, chunk.rejects, chunk.count_lines

Three formats: CSV as Sentiment140 has it, NDJSON, and Parquet; the first two plain, from gzip or from Zstandard. No
line is lost: each is a record, or a reject with its reason. A file that is no file of tweets is refused as a whole, in
a sentence; one that is still being written is left for later (`NotReadyError`).

    source         bytes, decompressed and hashed
    lines          blocks of whole lines
    csv_lines, json_lines, parquet      the fields of each row
    records        values with types, and the rules on them
    reasons        why a row is rejected
    files          which format a file has, and whether it is one at all
"""

from sentiment.ingest.readers.byte_stream import Fingerprint, fingerprint
from sentiment.ingest.readers.files import read_chunks
from sentiment.ingest.readers.records import RECORDS_SCHEMA, REJECTS_SCHEMA, Chunk

__all__ = ["RECORDS_SCHEMA", "REJECTS_SCHEMA", "Chunk", "Fingerprint", "fingerprint", "read_chunks"]
