package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/veilchart/veilchart/bench/measure"
)

const (
	modulePath = "github.com/veilchart/veilchart"
	unknown    = "unknown"
)

// machine says on what the numbers were made.
func machine(ctx context.Context) []measure.Setting {
	return []measure.Setting{
		{Key: "date", Value: time.Now().UTC().Format(time.RFC3339)},
		{Key: "commit", Value: commit(ctx)},
		{Key: "goos", Value: runtime.GOOS},
		{Key: "goarch", Value: runtime.GOARCH},
		{Key: "cpu", Value: processor()},
		{Key: "cores", Value: strconv.Itoa(runtime.NumCPU()) + ", GOMAXPROCS " + strconv.Itoa(runtime.GOMAXPROCS(0))},
		{Key: "load", Value: load()},
		{Key: "go", Value: runtime.Version()},
		{Key: "backend", Value: backend},
		{Key: "pkg", Value: modulePath + "/bench"},
	}
}

// moduleDir is where the sources of veilchart are that this program was built from.
func moduleDir(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", modulePath).Output()
	return strings.TrimSpace(string(out)), err
}

// commit is the version of the tree, with "+changes" if the tree differs from it.
func commit(ctx context.Context) string {
	dir, err := moduleDir(ctx)
	if err != nil || dir == "" {
		return unknown
	}
	head, err := exec.CommandContext(ctx, "git", "-C", dir, "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return unknown
	}
	id := strings.TrimSpace(string(head))
	status, err := exec.CommandContext(ctx, "git", "-C", dir, "status", "--porcelain", "--untracked-files=normal").Output()
	if err != nil || len(status) > 0 {
		id += "+changes"
	}
	return id
}

// processor is the name of the CPU where the system tells it.
func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return unknown
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if key, value, ok := strings.Cut(scanner.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return unknown
}

// load is how many programs wanted a core in the last minute before the run: with much more than zero, intervals get wide and absolute times too
// long.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return unknown
	}
	minute, _, _ := strings.Cut(string(text), " ")
	return minute
}

// version is the version of a module that this program was built with.
func version(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknown
	}
	for _, d := range info.Deps {
		if d.Path == module {
			return d.Version
		}
	}
	return unknown
}

// buildSetting is how this program was built, such as its tags; empty if that is not known.
func buildSetting(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
