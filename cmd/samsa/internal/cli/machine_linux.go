package cli

import (
	"fmt"
	"syscall"
)

// maxFiles returns how many files this process may have open, and false when that is not known.
func maxFiles() (uint64, bool) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, false
	}
	return l.Cur, true
}

// kinds of file systems, by statfs(2).
var kinds = map[int64]struct {
	name   string
	remote bool
}{
	0xef53: {"ext", false}, 0x58465342: {"xfs", false}, 0x9123683e: {"btrfs", false}, 0x2fc12fc1: {"zfs", false}, 0x01021994: {"tmpfs, which is memory", false},
	0x794c7630: {"overlayfs", false}, 0xf2f52010: {"f2fs", false}, 0x6969: {"nfs", true}, 0xff534d42: {"cifs", true}, 0xfe534d42: {"smb2", true},
	0x65735546: {"fuse", false}, 0x01021997: {"9p", true},
}

// fileSystemOf returns what is known of the file system that path is on.
func fileSystemOf(path string) (fileSystem, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return fileSystem{}, fmt.Errorf("%s: %w", path, err)
	}
	k, ok := kinds[int64(uint32(s.Type))]
	if !ok {
		k.name = fmt.Sprintf("unknown (%#x)", uint32(s.Type))
	}
	return fileSystem{k.name, k.remote, int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize)}, nil
}
