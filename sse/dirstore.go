package sse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/veilchart/veilchart/internal/wire"
)

// Dir is a Store in a folder: one file per segment, one per head. Several goroutines, and several processes of one machine, can use
// a folder at once; they exclude each other with a lock file per partition, so the file system must have locks
// between processes. It keeps no file open between calls and need not be closed. Every error names the file. The layout is
// docs/spec/sse-store.md.
//
// It keeps the HeadsKept newest heads of a partition. Files that it does not know are never touched; Check reports them.
type Dir struct {
	path string
	disk disk

	mu   sync.Mutex
	busy map[ID]chan struct{} // one token per partition: held by the goroutine that has or waits for the lock file
}

const (
	markerName  = "store.vcht"
	lockName    = "lock"
	segmentsDir = "segments"
	headsDir    = "heads"
	tmpDir      = "tmp"
	segmentExt  = ".segment"
	headExt     = ".head"
	tmpExt      = ".tmp"

	markerVersion = 1
)

// OpenDir opens the store in the folder, and makes it if the folder does not exist or is empty. A folder with other content is
// refused. Segments that a killed process left half written are removed.
func OpenDir(path string) (*Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sse: store %s: %w", path, err)
	}
	d := &Dir{path: abs, busy: make(map[ID]chan struct{})}
	if err := d.prepare(); err != nil {
		return nil, err
	}
	partitions, _, err := d.partitions()
	if err != nil {
		return nil, err
	}
	for _, p := range partitions {
		if err := d.sweep(context.Background(), p); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// prepare makes the folder and its marker, or checks the marker.
func (d *Dir) prepare() error {
	if err := d.disk.mkdir(d.path); err != nil {
		return fmt.Errorf("sse: store folder: %w", err)
	}
	marker := filepath.Join(d.path, markerName)
	want := wire.AppendHeader(nil, wire.Header{Kind: wire.KindSSEStore, Version: markerVersion})
	got, err := readFile(marker, int64(len(want)))
	switch {
	case err == nil:
		dec := wire.NewDecoder(got)
		h := dec.Header(wire.KindSSEStore)
		if err := dec.Finish(); err != nil {
			return damagedFile(marker, err)
		}
		if h.Version != markerVersion || h.Suite != 0 {
			return fmt.Errorf("sse: %s: the store has layout %d.%d, this program knows %d.0: use a newer program", marker, h.Version, h.Suite, markerVersion)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("sse: store folder: %w", err)
	}
	for _, e := range entries {
		// Another process may just be making the same store.
		if name := e.Name(); name[0] != '.' && name != "lost+found" && name != markerName {
			if _, err := os.Lstat(marker); err == nil {
				return d.prepare() // it did, and wrote to it, since the marker was looked for
			}
			return fmt.Errorf("sse: %s: the folder has files (%s) but no %s, so it is no store: take an empty folder, or restore that file from a backup",
				d.path, name, markerName)
		}
	}
	return d.disk.writeFile(filepath.Join(d.path, ".marker-"+GenerateID().String()+tmpExt), marker, want)
}

func (d *Dir) partition(partition ID, parts ...string) string {
	return filepath.Join(append([]string{d.path, partition.String()}, parts...)...)
}

// SegmentPath is the file that holds, or would hold, the segment.
func (d *Dir) SegmentPath(partition, segment ID) string {
	return d.partition(partition, segmentsDir, segment.String()+segmentExt)
}

// HeadPath is the file that holds, or would hold, the head of the version.
func (d *Dir) HeadPath(partition ID, version uint64) string {
	return d.partition(partition, headsDir, fmt.Sprintf("%020d", version)+headExt)
}

// Read implements Store. Each file is opened once, whatever the number of runs.
func (d *Dir) Read(ctx context.Context, partition ID, runs []Run) ([][]byte, error) {
	order := make([]int, len(runs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return slices.Compare(runs[a].Segment[:], runs[b].Segment[:]) })
	out := make([][]byte, len(runs))
	for len(order) > 0 {
		n := 1
		for n < len(order) && runs[order[n]].Segment == runs[order[0]].Segment {
			n++
		}
		if err := d.readSegment(ctx, partition, runs, order[:n], out); err != nil {
			return nil, err
		}
		order = order[n:]
	}
	return out, nil
}

// readSegment fills out[i] for the runs i of which, which are all of one segment.
func (d *Dir) readSegment(ctx context.Context, partition ID, runs []Run, which []int, out [][]byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	segment := runs[which[0]].Segment
	path := d.SegmentPath(partition, segment)
	f, info, err := openSegment(path, partition, segment)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	for _, i := range which {
		if err := ctx.Err(); err != nil {
			return err
		}
		r := runs[i]
		if uint64(r.First)+uint64(r.Count) > uint64(info.Pages) {
			return fmt.Errorf("sse: %s: pages %d to %d were asked for, but the segment has %d: the manifest and the store do not belong together",
				path, r.First, uint64(r.First)+uint64(r.Count), info.Pages)
		}
		// Bounded by the length of the file, which openSegment compared with the header.
		buf := make([]byte, int(r.Count)*PageSize)
		if _, err := f.ReadAt(buf, (1+int64(r.First))*PageSize); err == io.EOF {
			return damagedFile(path, errors.New("it became shorter while it was read"))
		} else if err != nil {
			return fmt.Errorf("sse: segment: %w", err)
		}
		out[i] = buf
	}
	return nil
}

// WriteSegment implements Store.
func (d *Dir) WriteSegment(ctx context.Context, partition, segment ID, pages iter.Seq2[[]byte, error]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path := d.SegmentPath(partition, segment)
	if err := checkFree(path); err != nil {
		return err
	}
	f, err := d.begin(ctx, partition)
	if err != nil {
		return err
	}
	tmp, open, kept := f.Name(), true, false
	defer func() { // also when pages panics
		if open {
			_ = f.Close()
		}
		if !kept {
			_ = d.disk.remove(tmp) // what stays is swept
		}
	}()
	if err := d.writePages(ctx, f, partition, segment, pages); err != nil {
		return err
	}

	unlock, err := d.lock(ctx, partition)
	if err != nil {
		return err
	}
	defer unlock()
	// Closing ends the lock on f that keeps the sweep away. The lock of the partition does that from here on.
	open = false
	if err := f.Close(); err != nil {
		return fmt.Errorf("sse: segment: %w", err)
	}
	if err := checkFree(path); err != nil {
		return err
	}
	if err := d.disk.rename(tmp, path); err != nil {
		return fmt.Errorf("sse: segment: %w", err)
	}
	kept = true
	if err := d.disk.syncDir(filepath.Dir(path)); err != nil {
		_ = d.disk.remove(path) // nobody knows of it yet
		return fmt.Errorf("sse: segment %s: %w", path, err)
	}
	return nil
}

func checkFree(path string) error {
	_, err := os.Lstat(path)
	if err == nil {
		return fmt.Errorf("sse: %s: %w: take a new ID", path, ErrExists)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sse: segment: %w", err)
	}
	return nil
}

// writePages fills the file and makes it durable.
func (d *Dir) writePages(ctx context.Context, f *os.File, partition, segment ID, pages iter.Seq2[[]byte, error]) error {
	const batch = 64 * PageSize
	info := SegmentInfo{ID: segment, Created: time.Now()}
	buf := make([]byte, 0, batch)
	off := int64(PageSize)
	flush := func() error {
		err := d.disk.write(f, buf, off)
		off += int64(len(buf))
		buf = buf[:0]
		return err
	}
	for page, err := range pages {
		if err != nil {
			return fmt.Errorf("sse: segment %v is not written: %w", segment, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(page) != PageSize {
			return fmt.Errorf("sse: segment %v is not written: page %d has %d bytes, not %d", segment, info.Pages, len(page), PageSize)
		}
		if info.Pages == 1<<32-1 {
			return fmt.Errorf("sse: segment %v is not written: it has more than %d pages", segment, info.Pages)
		}
		info.Pages++
		if buf = append(buf, page...); len(buf) == batch {
			if err := flush(); err != nil {
				return fmt.Errorf("sse: segment: %w", err)
			}
		}
	}
	if info.Pages == 0 {
		return fmt.Errorf("sse: segment %v is not written: it has no pages", segment)
	}
	if err := flush(); err != nil {
		return fmt.Errorf("sse: segment: %w", err)
	}
	if err := d.disk.write(f, segmentHeader(partition, info), 0); err != nil {
		return fmt.Errorf("sse: segment: %w", err)
	}
	if err := d.disk.sync(f); err != nil {
		return fmt.Errorf("sse: segment: %w", err)
	}
	return nil
}

// begin makes the folders of the partition and a temporary file that is locked, so that no sweep takes it for abandoned.
func (d *Dir) begin(ctx context.Context, partition ID) (*os.File, error) {
	for _, dir := range []string{"", segmentsDir, tmpDir} {
		if err := d.disk.mkdir(d.partition(partition, dir)); err != nil {
			return nil, fmt.Errorf("sse: partition: %w", err)
		}
	}
	unlock, err := d.lock(ctx, partition) // no sweep between making the file and locking it
	if err != nil {
		return nil, err
	}
	defer unlock()
	f, err := d.disk.create(d.partition(partition, tmpDir, GenerateID().String()+tmpExt))
	if err != nil {
		return nil, fmt.Errorf("sse: segment: %w", err)
	}
	if err := lockFile(f); err != nil { // free, as nobody else knows its name
		_ = f.Close()
		_ = d.disk.remove(f.Name())
		return nil, fmt.Errorf("sse: %s cannot be locked: the file system must have locks between processes: %w", f.Name(), err)
	}
	return f, nil
}

// sweep removes the temporary files of the partition whose writers are gone: those that nobody has locked.
func (d *Dir) sweep(ctx context.Context, partition ID) error {
	entries, err := readDir(d.partition(partition, tmpDir))
	if err != nil || len(entries) == 0 {
		return err
	}
	unlock, err := d.lock(ctx, partition)
	if err != nil {
		return err
	}
	defer unlock()
	for _, e := range entries {
		path := d.partition(partition, tmpDir, e.Name())
		if _, ok := tmpID(e.Name()); !ok || !e.Type().IsRegular() {
			continue // not ours
		}
		alive, err := locked(path)
		if err != nil {
			return fmt.Errorf("sse: half-written file: %w", err)
		}
		if !alive {
			if err := d.disk.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("sse: half-written file: %w", err)
			}
		}
	}
	return nil
}

// locked says whether a process holds the lock of the file. One that is gone is not locked.
func locked(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close() // ends the lock
	free, err := tryLockFile(f)
	return !free, err
}

// Segments implements Store. The time of a segment is that of the writer's clock.
func (d *Dir) Segments(ctx context.Context, partition ID) ([]SegmentInfo, error) {
	entries, err := readDir(d.partition(partition, segmentsDir))
	if err != nil {
		return nil, err
	}
	var infos []SegmentInfo
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		id, ok := segmentID(e.Name())
		if !ok {
			continue // not ours; Check reports it
		}
		f, info, err := openSegment(d.SegmentPath(partition, id), partition, id)
		if errors.Is(err, ErrMissing) {
			continue // deleted since it was listed
		}
		if err != nil {
			return nil, err
		}
		_ = f.Close() // only read
		infos = append(infos, info)
	}
	return infos, ctx.Err()
}

// DeleteSegment implements Store.
func (d *Dir) DeleteSegment(ctx context.Context, partition, segment ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path := d.SegmentPath(partition, segment)
	err := d.disk.remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sse: segment %s: %w", path, ErrMissing)
	}
	if err == nil {
		err = d.disk.syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("sse: segment: %w", err)
	}
	return nil
}
