package sse

import (
	"context"
	"errors"
	"fmt"
)

// Check looks at every file of the folder and returns what is wrong, joined into one error (see errors.Join), or nil: damaged
// segments and heads, half-written files whose writer is gone, and files that are not the store's. It changes nothing. It
// reads heads, but of segments the first page only; whether the other pages are as they were written only the key can tell.
func (d *Dir) Check(ctx context.Context) error {
	partitions, foreign, err := d.partitions()
	if err != nil {
		return err
	}
	var found []error
	alien := func(path string) {
		found = append(found, fmt.Errorf("sse: %s does not belong to the store: move it away", path))
	}
	for _, path := range foreign {
		alien(path)
	}
	for _, p := range partitions {
		folders := map[string]func(name string) (ours bool, err error){
			segmentsDir: func(name string) (bool, error) {
				id, ok := segmentID(name)
				if !ok {
					return false, nil
				}
				f, _, err := openSegment(d.SegmentPath(p, id), p, id)
				if err == nil {
					_ = f.Close() // only read
				}
				return true, err
			},
			headsDir: func(name string) (bool, error) {
				v, ok := headVersion(name)
				if !ok {
					return false, nil
				}
				_, err := readHead(d.HeadPath(p, v), p, v)
				return true, err
			},
			tmpDir: func(name string) (bool, error) {
				if _, ok := tmpID(name); !ok {
					return false, nil
				}
				path := d.partition(p, tmpDir, name)
				alive, err := locked(path)
				if err == nil && !alive {
					err = fmt.Errorf("sse: %s is half written and its writer is gone: it will be removed when the store is opened next", path)
				}
				return true, err
			},
		}
		entries, err := readDir(d.partition(p))
		if err != nil {
			return err
		}
		for _, e := range entries {
			inspect, ok := folders[e.Name()]
			if !ok || !e.IsDir() {
				if e.Name() != lockName || !e.Type().IsRegular() {
					alien(d.partition(p, e.Name()))
				}
				continue
			}
			err := d.eachFile(ctx, p, e.Name(), func(name string) {
				ours, err := inspect(name)
				if !ours {
					alien(d.partition(p, e.Name(), name))
				} else if err != nil && !errors.Is(err, ErrMissing) { // deleted since it was listed
					found = append(found, err)
				}
			})
			if err != nil {
				return err
			}
		}
	}
	return errors.Join(found...)
}

// eachFile calls visit for the names in a folder of a partition. Temporary files are looked at under the lock of the partition: without it
// one that was just made, or is just being renamed, looks as if its writer were gone.
func (d *Dir) eachFile(ctx context.Context, partition ID, folder string, visit func(name string)) error {
	if folder == tmpDir {
		unlock, err := d.lock(ctx, partition)
		if err != nil {
			return err
		}
		defer unlock()
	}
	files, err := readDir(d.partition(partition, folder))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		visit(file.Name())
	}
	return nil
}
