"""Workers that compute labels: processes of this machine, Dask, SLURM."""
