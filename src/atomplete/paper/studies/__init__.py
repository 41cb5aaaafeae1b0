"""Studies beyond the table: latents, objectives, ablation, learning curves."""
