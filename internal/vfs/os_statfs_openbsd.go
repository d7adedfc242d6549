package vfs

import "golang.org/x/sys/unix"

func statfs(fd int) (free, total int64, err error) {
	var st unix.Statfs_t
	err = unix.Fstatfs(fd, &st)
	return st.F_bavail * int64(st.F_bsize), int64(st.F_blocks) * int64(st.F_bsize), err
}
