"""What `import bench3d` offers in Python: the command line's verbs as functions that return values and print nothing.

Names of arguments are those of the command line's options; errors are the exceptions of `bench3d.errors`, each one
sentence and a next step. The modules here load torch only where a function needs it.
"""
