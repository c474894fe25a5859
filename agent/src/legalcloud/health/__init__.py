"""Is the store well? Facts from the cluster and from one object's round trip, and what they mean."""
