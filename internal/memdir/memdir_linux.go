package memdir

import "golang.org/x/sys/unix"

// inMemory returns a directory in memory with much room, "" if there is none.
func inMemory() string {
	const dir = "/dev/shm"
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil || st.Type != unix.TMPFS_MAGIC || unix.Access(dir, unix.W_OK|unix.X_OK) != nil ||
		st.Bavail*uint64(st.Bsize) < leastBytes {
		return ""
	}
	return dir
}
