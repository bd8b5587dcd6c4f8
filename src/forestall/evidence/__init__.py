"""Stage 4: facts -> Bundle. What was seen before an action, kept so that it proves itself.

`redact` hides secrets, `bundle` writes, `verify` proves, `retention` bounds the folder, `layout`
knows the names and the disk.
"""
