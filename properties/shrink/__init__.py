"""Making failing cases small.  What a failure is, and how it is judged, is the caller's to say."""
