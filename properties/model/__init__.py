"""What is judged, and the result, as data: device, case, target, execution, failure.

Nothing here opens a device, runs a program or judges one.
"""
