"""What several rules work out alike, each a pure function of facts and terms.

`beside_database` whether a rule about what runs beside a database is about this host
`budget`          what services and PostgreSQL may take at worst
`crash_kernel`    Red Hat's table of what a crash kernel needs
`overcommit`      what strict overcommit would allow
`storage`         which disk and file system a path lies on
`swap`            the vendors' tables of swap, and the finding of less
`unseen`          the answer where evidence was not read
"""
