package keymgmt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type modelKey struct {
	secret []byte
	state  State
}

// TestKeyringAgainstModel runs random changes on two handles of one ring, with reopening and disks that fail, and
// compares with a map.
func TestKeyringAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		dir, err := os.MkdirTemp(t.TempDir(), "")
		require.NoError(rt, err)
		w := testWrapper()
		first, err := CreateKeyring(ctx, FilesIn(dir), w, Options{})
		require.NoError(rt, err)
		handles := []*Keyring{first, reopen(t, FilesIn(dir), w)}
		model := map[string][]modelKey{}
		changes := uint64(1)
		name := rapid.Custom(func(rt *rapid.T) string {
			return fmt.Sprintf("%s%d", rapid.SampledFrom([]string{"", "a/", "b/p/"}).Draw(rt, "tenant"), rapid.IntRange(0, 5).Draw(rt, "number"))
		})
		pick := func(rt *rapid.T) *Keyring { return handles[rapid.IntRange(0, 1).Draw(rt, "handle")] }
		gone := func(n string) bool {
			return len(model[n]) > 0 && !slices.ContainsFunc(model[n], func(k modelKey) bool { return k.state != StateDestroyed })
		}
		primary := func(n string) int {
			return slices.IndexFunc(model[n], func(k modelKey) bool { return k.state == StatePrimary })
		}
		add := func(rt *rapid.T, n string, k *Key, err error) {
			switch {
			case gone(n):
				require.ErrorIs(rt, err, ErrDestroyed)
			case len(model[n]) > 0:
				require.ErrorIs(rt, err, ErrExists)
			default:
				require.NoError(rt, err)
				model[n] = []modelKey{{k.Secret.ExposeSecret(), StatePrimary}}
				changes++
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"generate": func(rt *rapid.T) {
				n := name.Draw(rt, "name")
				k, err := pick(rt).Generate(ctx, n)
				add(rt, n, k, err)
			},
			"put": func(rt *rapid.T) {
				n := name.Draw(rt, "name")
				b := rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(rt, "secret")
				k, err := pick(rt).Put(ctx, n, NewSecret(b))
				if err == nil {
					require.Equal(rt, b, k.Secret.ExposeSecret())
				}
				add(rt, n, k, err)
			},
			"rotate": func(rt *rapid.T) {
				n := name.Draw(rt, "name")
				k, err := pick(rt).Rotate(ctx, n, nil)
				switch {
				case gone(n):
					require.ErrorIs(rt, err, ErrDestroyed)
				case len(model[n]) == 0:
					require.ErrorIs(rt, err, ErrNotFound)
				default:
					require.NoError(rt, err)
					if p := primary(n); p >= 0 {
						model[n][p].state = StateActive
					}
					model[n] = append(model[n], modelKey{k.Secret.ExposeSecret(), StatePrimary})
					changes++
				}
			},
			"disable or enable": func(rt *rapid.T) {
				n, v, off := name.Draw(rt, "name"), rapid.IntRange(1, 3).Draw(rt, "version"), rapid.Bool().Draw(rt, "disable")
				r := pick(rt)
				var err error
				if off {
					err = r.Disable(ctx, n, uint32(v))
				} else {
					err = r.Enable(ctx, n, uint32(v))
				}
				switch {
				case v > len(model[n]):
					require.ErrorIs(rt, err, ErrNotFound)
				case model[n][v-1].state == StateDestroyed:
					require.ErrorIs(rt, err, ErrDestroyed)
				default:
					require.NoError(rt, err)
					changes++
					if off {
						model[n][v-1].state = StateDisabled
					} else if model[n][v-1].state == StateDisabled {
						model[n][v-1].state = StateActive
						if primary(n) < 0 {
							model[n][v-1].state = StatePrimary
						}
					}
				}
			},
			"destroy": func(rt *rapid.T) {
				n, v := name.Draw(rt, "name"), rapid.IntRange(0, 3).Draw(rt, "version")
				receipt, err := pick(rt).Destroy(ctx, n, Destruction{Version: uint32(v)})
				var doomed []uint32
				for i, k := range model[n] {
					if k.state != StateDestroyed && (v == 0 || v == i+1) {
						doomed = append(doomed, uint32(i+1))
					}
				}
				living := 0
				for _, k := range model[n] {
					if k.state != StateDestroyed {
						living++
					}
				}
				switch {
				case len(model[n]) == 0 || v > len(model[n]):
					require.ErrorIs(rt, err, ErrNotFound)
				case len(doomed) == 0:
					require.ErrorIs(rt, err, ErrDestroyed)
					require.Equal(rt, n, receipt.Name)
				case v > 0 && model[n][v-1].state == StatePrimary && living > 1:
					require.Error(rt, err)
				default:
					require.NoError(rt, err)
					require.Equal(rt, doomed, receipt.Versions)
					changes++
					require.Equal(rt, changes, receipt.RingVersion)
					for _, d := range doomed {
						model[n][d-1] = modelKey{state: StateDestroyed}
					}
				}
			},
			"rewrap": func(rt *rapid.T) {
				require.NoError(rt, pick(rt).Rewrap(ctx, w))
				changes++
			},
			"reopen": func(rt *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(rt, "handle")
				require.NoError(rt, handles[i].Close())
				handles[i] = reopen(t, FilesIn(dir), w)
			},
			"failing disk": func(rt *rapid.T) {
				r, left := pick(rt), rapid.IntRange(0, 1).Draw(rt, "step")
				r.disk.fault = func(string, string) error {
					if left--; left < 0 {
						return errors.New("disk failed")
					}
					return nil
				}
				require.Error(rt, r.Rewrap(ctx, w))
				r.disk.fault = nil
			},
			"": func(rt *rapid.T) {
				r := pick(rt)
				for n, versions := range model {
					for i, want := range versions {
						k, err := r.GetVersion(ctx, n, uint32(i+1))
						switch want.state {
						case StateDestroyed:
							require.ErrorIs(rt, err, ErrDestroyed)
						case StateDisabled:
							require.ErrorIs(rt, err, ErrDisabled)
						default:
							require.NoError(rt, err)
							require.Equal(rt, want.secret, k.Secret.ExposeSecret())
							require.Equal(rt, want.state, k.State)
						}
					}
					k, err := r.Get(ctx, n)
					switch p := primary(n); {
					case gone(n):
						require.ErrorIs(rt, err, ErrDestroyed)
					case p < 0:
						require.ErrorIs(rt, err, ErrDisabled)
					default:
						require.NoError(rt, err)
						require.Equal(rt, uint32(p+1), k.Version)
					}
				}
				version, err := r.Version(ctx)
				require.NoError(rt, err)
				require.Equal(rt, changes, version)
			},
		})
	})
}
