/boot:
total 170000
dr-xr-xr-x.  5 0 0     4096 Nov 14  2024 .
dr-xr-xr-x. 17 0 0      224 Nov 14  2024 ..
-rw-r--r--.  1 0 0   151918 Nov  8  2018 config-3.10.0-957.el7.x86_64
drwxr-xr-x.  3 0 0       17 Nov 14  2024 efi
drwx------.  5 0 0       97 Nov 14  2024 grub2
-rw-------.  1 0 0 60000000 Nov 14  2024 initramfs-0-rescue-00000000000000000000000000000001.img
-rw-------.  1 0 0 30000000 Nov 14  2024 initramfs-3.10.0-957.el7.x86_64.img
-rwxr-xr-x.  1 0 0  6639904 Nov 14  2024 vmlinuz-0-rescue-00000000000000000000000000000001
-rwxr-xr-x.  1 0 0  6639904 Nov  8  2018 vmlinuz-3.10.0-957.el7.x86_64
-rwxr-xr-x.  1 0 0  6734016 Nov 23  2018 vmlinuz-3.10.0-957.1.3.el7.x86_64

/boot/grub2:
total 32
-rw-r--r--. 1 0 0 64 Nov 14  2024 vmlinuz-of-another-folder
