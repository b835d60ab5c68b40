"""The leaderboard as a folder of static files: HTML, style, script and pictures."""
