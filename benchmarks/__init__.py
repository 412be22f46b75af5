"""The benchmark: the hub beside what people use instead, on one machine, in one run."""
