"""Scoring: every tweet once for a model version, in this process, in a pool of processes, or on a Dask cluster.

score      plans shards, has them predicted, commits each exactly once
executors  where shards are predicted: `concurrent.futures.Executor` is the seam
worker     one shard of tweets to one file of predictions; needs the model's code and nothing else of this project
store      where shards, predictions and models lie for all who work on them: a folder or object storage
"""
