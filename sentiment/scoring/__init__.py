"""Scoring: every tweet once for a model version, in this process, in a pool of processes, or on a Dask cluster.

score      plans shards, has them predicted, commits each exactly once
executors  where shards are predicted: three kinds of `concurrent.futures.Executor`
worker     one shard of tweets to one file of predictions; needs the model's code and nothing else of this project
store      the folder or object storage that holds shards, predictions and models for all workers
"""
