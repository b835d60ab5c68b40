"""The command line: parses, calls, prints. The work is done by the rooms below.

`main.run` is the console script. Commands live in modules of their own and import heavy rooms only when they run, so
that `bench3d list` starts at once.
"""
