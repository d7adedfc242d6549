//go:build unix && !aix && !solaris && !illumos && !openbsd && !netbsd

package vfs

import "golang.org/x/sys/unix"

func statfs(fd int) (free, total int64, err error) {
	var st unix.Statfs_t
	err = unix.Fstatfs(fd, &st)
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), err
}
