"""The worker, outside the cage: claims jobs, holds the lease, takes a job from uploads to a stored draft."""
