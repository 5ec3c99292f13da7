package sse

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/veilchart/veilchart/internal/wire"
)

// The files of a store folder. docs/spec/sse-store.md has the byte tables. The checksums find accidents; against tampering pages
// and heads are authenticated by who has the key.

const (
	segmentVersion = 1
	headVersionNo  = 1

	segmentHeaderSize = wire.HeaderSize + 16 + 16 + 8 + 4
	headOverhead      = wire.HeaderSize + 16 + 8 + 4 + sha256.Size
)

// segmentHeader is the first PageSize bytes of a segment file; the pages follow, so that they are aligned.
func segmentHeader(partition ID, info SegmentInfo) []byte {
	b := make([]byte, 0, PageSize)
	b = wire.AppendHeader(b, wire.Header{Kind: wire.KindSSEPage, Version: segmentVersion})
	b = append(b, partition[:]...)
	b = append(b, info.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(info.Created.UnixNano()))
	b = binary.BigEndian.AppendUint32(b, info.Pages)
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	return b[:PageSize] // zeros
}

func decodeSegmentHeader(b []byte, partition, segment ID) (SegmentInfo, error) {
	d := wire.NewDecoder(b)
	h := d.Header(wire.KindSSEPage)
	if d.Err() == nil && (h.Version != segmentVersion || h.Suite != 0) {
		d.Failf("segment file of version %d.%d: this program knows %d.0", h.Version, h.Suite, segmentVersion)
	}
	gotPartition, gotSegment := d.Raw(16), d.Raw(16)
	created, pages := d.Uint64(), d.Uint32()
	sum, padding := d.Raw(sha256.Size), d.Raw(PageSize-segmentHeaderSize-sha256.Size)
	if d.Err() == nil {
		want := sha256.Sum256(b[:segmentHeaderSize])
		switch {
		case !bytes.Equal(sum, want[:]):
			d.Failf("wrong checksum of the header")
		case len(bytes.Trim(padding, "\x00")) != 0:
			d.Failf("bytes after the header are not zero")
		case ID(gotPartition) != partition || ID(gotSegment) != segment:
			d.Failf("this is segment %x of partition %x, under the name of another", gotSegment, gotPartition)
		case pages == 0 || created > math.MaxInt64:
			d.Failf("a segment without pages, or written before 1970")
		}
	}
	if err := d.Finish(); err != nil {
		return SegmentInfo{}, err
	}
	return SegmentInfo{ID: segment, Pages: pages, Created: time.Unix(0, int64(created))}, nil
}

// openSegment opens a segment file and checks its header and length.
func openSegment(path string, partition, segment ID) (*os.File, SegmentInfo, error) {
	f, size, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, SegmentInfo{}, fmt.Errorf("sse: segment %s: %w: read the manifest again", path, ErrMissing)
	}
	if err != nil {
		return nil, SegmentInfo{}, err
	}
	info, err := func() (SegmentInfo, error) {
		b := make([]byte, PageSize)
		if _, err := f.ReadAt(b, 0); err == io.EOF {
			return SegmentInfo{}, damagedFile(path, fmt.Errorf("truncated: it has %d bytes, fewer than its header", size))
		} else if err != nil {
			return SegmentInfo{}, fmt.Errorf("sse: segment: %w", err)
		}
		info, err := decodeSegmentHeader(b, partition, segment)
		if err != nil {
			return SegmentInfo{}, damagedFile(path, err)
		}
		if want := (1 + int64(info.Pages)) * PageSize; size < want {
			return SegmentInfo{}, damagedFile(path, fmt.Errorf("truncated: it has %d bytes, its header says %d", size, want))
		} else if size > want {
			return SegmentInfo{}, damagedFile(path, fmt.Errorf("it has %d bytes, its header says %d", size, want))
		}
		return info, nil
	}()
	if err != nil {
		_ = f.Close()
		return nil, SegmentInfo{}, err
	}
	return f, info, nil
}

func appendHead(partition ID, version uint64, blob []byte) []byte {
	b := make([]byte, 0, headOverhead+len(blob))
	b = wire.AppendHeader(b, wire.Header{Kind: wire.KindSSEHead, Version: headVersionNo})
	b = append(b, partition[:]...)
	b = binary.BigEndian.AppendUint64(b, version)
	b = wire.AppendBytes(b, blob)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func decodeHead(b []byte, partition ID, version uint64) ([]byte, error) {
	d := wire.NewDecoder(b)
	h := d.Header(wire.KindSSEHead)
	if d.Err() == nil && (h.Version != headVersionNo || h.Suite != 0) {
		d.Failf("head file of version %d.%d: this program knows %d.0", h.Version, h.Suite, headVersionNo)
	}
	gotPartition, gotVersion := d.Raw(16), d.Uint64()
	blob := d.Bytes(MaxHead)
	end := d.Offset()
	sum := d.Raw(sha256.Size)
	if d.Err() == nil {
		want := sha256.Sum256(b[:end])
		switch {
		case !bytes.Equal(sum, want[:]):
			d.Failf("wrong checksum")
		case ID(gotPartition) != partition || gotVersion != version:
			d.Failf("this is head %d of partition %x, under the name of another", gotVersion, gotPartition)
		}
	}
	if err := d.Finish(); err != nil {
		return nil, err
	}
	return blob, nil
}

func readHead(path string, partition ID, version uint64) ([]byte, error) {
	b, err := readFile(path, headOverhead+MaxHead)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("sse: head %s: %w, or not kept any more", path, ErrMissing)
	}
	if err != nil {
		return nil, err
	}
	blob, err := decodeHead(b, partition, version)
	if err != nil {
		return nil, damagedFile(path, err)
	}
	return blob, nil
}

// Names of files are canonical: what does not print back as it was is foreign.

func segmentID(name string) (ID, bool) { return idBefore(name, segmentExt) }

func tmpID(name string) (ID, bool) { return idBefore(name, tmpExt) }

func idBefore(name, ext string) (ID, bool) {
	stem, ok := strings.CutSuffix(name, ext)
	id, err := ParseID(stem)
	return id, ok && err == nil
}

func headVersion(name string) (uint64, bool) {
	stem, ok := strings.CutSuffix(name, headExt)
	v, err := strconv.ParseUint(stem, 10, 64)
	return v, ok && err == nil && v > 0 && len(stem) == 20
}

// partitions lists the partitions in the folder, and the names that are none.
func (d *Dir) partitions() (ids []ID, foreign []string, err error) {
	entries, err := readDir(d.path)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if id, err := ParseID(e.Name()); err == nil && e.IsDir() {
			ids = append(ids, id)
		} else if e.Name() != markerName {
			foreign = append(foreign, filepath.Join(d.path, e.Name()))
		}
	}
	return ids, foreign, nil
}
