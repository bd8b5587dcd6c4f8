"""The parts of stock-sync that are usually written wrongly, one file each: repaired and broken.

In each file the first class is the part as it should be, and runs by default. The second is the
same part with the mistake, and runs only when LEAK asks for it.
"""
