"""pascal3d_pose plugin."""
