"""Apache Spark, for what one machine cannot hold: an engine for the stages, and `prepare` from end to end (optional extra `spark`)."""
