package machine

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

func (i *Info) look(dir string) {
	i.CPU = field(read("/proc/cpuinfo"), "model name")
	i.Memory = kilobytes(read("/proc/meminfo"), "MemTotal")
	if release := strings.TrimSpace(read("/proc/sys/kernel/osrelease")); release != "" {
		i.System = "Linux " + release
	}
	i.Load, _, _ = strings.Cut(read("/proc/loadavg"), " ")
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	if m, ok := mountOf(read("/proc/self/mountinfo"), dir); ok {
		i.Filesystem = fmt.Sprintf("%s (%s)", m.kind, m.options)
		i.Disk = disk(m.source)
	}
}

func (u *Usage) look() {
	if n := kilobytes(read("/proc/self/status"), "VmHWM"); n > 0 {
		u.PeakRSS = n
	}
	if n, err := strconv.ParseInt(field(read("/proc/self/io"), "write_bytes"), 10, 64); err == nil {
		u.DiskWritten = n
	}
}

// field returns the value of the first line "name : value".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// kilobytes returns, in bytes, the value of the line "name: value kB", and 0 without one.
func kilobytes(text, name string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(field(text, name), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

type mount struct{ point, options, kind, source string }

// mountOf finds the mount that dir is on in the text of /proc/self/mountinfo, whose lines are
// "id parent major:minor root point options [fields...] - kind source superoptions" (proc(5)).
func mountOf(mountinfo, dir string) (best mount, found bool) {
	for line := range strings.Lines(mountinfo) {
		head, tail, ok := strings.Cut(line, " - ")
		h, t := strings.Fields(head), strings.Fields(tail)
		if !ok || len(h) < 6 || len(t) < 2 {
			continue
		}
		m := mount{point: h[4], options: h[5], kind: t[0], source: t[1]}
		if inside(dir, m.point) && len(m.point) >= len(best.point) { // a later one hides an earlier
			best, found = m, true
		}
	}
	return best, found
}

func inside(dir, point string) bool {
	return dir == point || point == "/" || strings.HasPrefix(dir, point+"/")
}

// disk describes a block device as /sys knows it.
func disk(source string) string {
	name, ok := strings.CutPrefix(source, "/dev/")
	if !ok {
		return source
	}
	sys := "/sys/class/block/" + name
	if resolved, err := filepath.EvalSymlinks(sys); err == nil {
		sys = resolved
	}
	if read(sys+"/queue/rotational") == "" {
		sys = filepath.Dir(sys) // a partition; its disk lies above
	}
	words := []string{name}
	if model := strings.TrimSpace(read(sys + "/device/model")); model != "" {
		words = append(words, model)
	}
	if sectors, err := strconv.ParseInt(strings.TrimSpace(read(sys+"/size")), 10, 64); err == nil {
		words = append(words, fmt.Sprintf("%d GB", sectors*512/1e9))
	}
	switch strings.TrimSpace(read(sys + "/queue/rotational")) {
	case "0":
		words = append(words, "not rotating")
	case "1":
		words = append(words, "rotating, or a virtual disk that says so")
	}
	return strings.Join(words, ", ")
}
