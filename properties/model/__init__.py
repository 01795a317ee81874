"""What is judged and what came of it, as data: device, case, execution, failure, finding.

Nothing here opens a device, runs a program or judges one.
"""
