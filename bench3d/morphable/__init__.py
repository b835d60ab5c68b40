"""Parts of category-level morphable models: training views, heads, proxy meshes, render-and-compare pose."""
