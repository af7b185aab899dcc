"""Model hubs: which files a model has, how large they are and what their digests are."""
