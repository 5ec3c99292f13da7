package sse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Head implements Store.
func (d *Dir) Head(ctx context.Context, partition ID, version uint64) ([]byte, uint64, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		versions, err := d.versions(partition)
		if err != nil {
			return nil, 0, err
		}
		if len(versions) == 0 && version == 0 {
			return nil, 0, nil
		}
		latest := newest(versions)
		want := version
		if want == 0 {
			want = latest
		}
		blob, err := readHead(d.HeadPath(partition, want), partition, want)
		if version == 0 && errors.Is(err, ErrMissing) {
			continue // so many swaps since the listing that it is not kept any more
		}
		return blob, latest, err
	}
}

// SwapHead implements Store.
func (d *Dir) SwapHead(ctx context.Context, partition ID, version uint64, blob []byte) error {
	if version == 0 || len(blob) > MaxHead {
		return fmt.Errorf("sse: head %d of %d bytes in %s is refused: versions begin at 1, the limit is %d bytes", version, len(blob), d.partition(partition), MaxHead)
	}
	for _, dir := range []string{"", headsDir, tmpDir} {
		if err := d.disk.mkdir(d.partition(partition, dir)); err != nil {
			return fmt.Errorf("sse: partition: %w", err)
		}
	}
	unlock, err := d.lock(ctx, partition)
	if err != nil {
		return err
	}
	defer unlock()
	versions, err := d.versions(partition)
	if err != nil {
		return err
	}
	if latest := newest(versions); latest != version-1 {
		return fmt.Errorf("sse: head %d in %s: %w: the latest is %d", version, d.partition(partition), ErrConflict, latest)
	}
	path := d.HeadPath(partition, version)
	tmp := d.partition(partition, tmpDir, GenerateID().String()+tmpExt)
	if err := d.disk.writeFile(tmp, path, appendHead(partition, version, blob)); err != nil {
		return err
	}
	// The swap is done. A head that cannot be removed now is tried again at the next swap.
	for _, v := range versions {
		if v+HeadsKept <= version {
			_ = d.disk.remove(d.HeadPath(partition, v))
		}
	}
	return nil
}

// versions lists the heads of a partition.
func (d *Dir) versions(partition ID) ([]uint64, error) {
	names, err := readNames(d.partition(partition, headsDir))
	if err != nil {
		return nil, err
	}
	var versions []uint64
	for _, name := range names {
		if v, ok := headVersion(name); ok {
			versions = append(versions, v)
		}
	}
	return versions, nil
}

func newest(versions []uint64) uint64 {
	var latest uint64
	for _, v := range versions {
		latest = max(latest, v)
	}
	return latest
}

// lock takes the lock of the partition, first within this Dir, then among processes. A partition that does not exist has no lock.
func (d *Dir) lock(ctx context.Context, partition ID) (unlock func(), err error) {
	d.mu.Lock()
	token := d.busy[partition]
	if token == nil {
		token = make(chan struct{}, 1)
		d.busy[partition] = token
	}
	d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case token <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}

	type result struct {
		release func()
		err     error
	}
	done := make(chan result, 1)
	go func() {
		release, err := lockPath(filepath.Join(d.partition(partition), lockName))
		done <- result{release, err}
	}()
	finish := func(r result) {
		if r.err == nil {
			r.release()
		}
		<-token
	}
	select {
	case r := <-done:
		if r.err != nil {
			<-token
			return nil, fmt.Errorf("sse: lock: %w", r.err)
		}
		return func() { finish(r) }, nil
	case <-ctx.Done():
		// The system call cannot be called off. The token stays taken until it returns, so that waiting callers do not
		// pile up in it.
		go func() { finish(<-done) }()
		return nil, ctx.Err()
	}
}

// lockPath waits for the lock file and holds it until release. If the file was replaced while it waited, its lock no longer excludes
// those who open the new one, so it starts over.
func lockPath(path string) (release func(), err error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lockFile(f); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		mine, err1 := f.Stat()
		present, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(mine, present) {
			return func() { _ = f.Close() }, nil // closing unlocks; nothing was written
		}
		_ = f.Close()
		if err := errors.Join(err1, err2); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}
