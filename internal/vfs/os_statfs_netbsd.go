package vfs

import "golang.org/x/sys/unix"

func statfs(fd int) (free, total int64, err error) {
	var st unix.Statvfs_t
	err = unix.Fstatvfs(fd, &st)
	return int64(st.Bavail) * int64(st.Frsize), int64(st.Blocks) * int64(st.Frsize), err
}
