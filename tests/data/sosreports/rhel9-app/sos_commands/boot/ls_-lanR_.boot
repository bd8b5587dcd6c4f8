/boot:
total 200000
-rwxr-xr-x.  1 0 0 13000000 Apr 10  2024 vmlinuz-5.14.0-427.13.1.el9_4.x86_64
-rwxr-xr-x.  1 0 0 13000000 Jan 10  2024 vmlinuz-0-rescue-00000000000000000000000000000002

/boot/grub2:
total 4
-rw-------.  1 0 0     1024 Apr 10  2024 grubenv
