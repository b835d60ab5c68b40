"""The leaderboard as a folder of static files: HTML, style, script and pictures."""

from bench3d.leaderboard.page.site import MARKER, SiteSummary, write_site

__all__ = ["MARKER", "SiteSummary", "write_site"]
