package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/veilchart/veilchart/bench/measure"
)

// limit is what the hardware and the back end allow.
const limit = "limit"

const block = 1 << 20

// streamCases seal and open a stream in memory, on all cores. The limit works on the same bytes on one core, in blocks of the size of a segment, and writes them nowhere.
func (s abeSuite) streamCases() []measure.Case {
	var b *veilchartBed
	var plaintext []byte
	var sealed bytes.Buffer
	var aead cipher.AEAD
	var blocks [][]byte
	prepare := func(context.Context) error {
		if b != nil {
			return nil
		}
		authority, err := newAuthority()
		if err != nil {
			return err
		}
		if b, err = newVeilchartBed(authority, 1); err != nil {
			return err
		}
		if err := b.issue(); err != nil {
			return err
		}
		plaintext = make([]byte, s.streamBytes)
		for i := range plaintext {
			plaintext[i] = byte(i ^ i>>8)
		}
		sealed.Grow(len(plaintext) + len(plaintext)/block*16 + 1<<16)
		if err := authority.Params().EncryptFrom(&sealed, bytes.NewReader(plaintext), b.policy, nil); err != nil {
			return err
		}
		c, err := aes.NewCipher(make([]byte, 32))
		if err != nil {
			return err
		}
		if aead, err = cipher.NewGCM(c); err != nil {
			return err
		}
		for i := 0; i*block < len(plaintext); i++ {
			blocks = append(blocks, aead.Seal(nil, nonce(i), plaintext[i*block:min(len(plaintext), (i+1)*block)], nil))
		}
		return nil
	}
	buffer := make([]byte, 0, block+16)
	both := func(name string, ours, raw func() error) measure.Case {
		return measure.Case{Name: name, Contenders: []measure.Contender{
			prepared(measure.Throughput(measure.Reference, s.streamBytes, ours), prepare),
			prepared(measure.Throughput(limit, s.streamBytes, raw), prepare),
		}}
	}
	return []measure.Case{
		both("stream-seal", func() error {
			return b.authority.Params().EncryptFrom(io.Discard, bytes.NewReader(plaintext), b.policy, nil)
		}, func() error {
			for i := 0; i*block < len(plaintext); i++ {
				aead.Seal(buffer, nonce(i), plaintext[i*block:min(len(plaintext), (i+1)*block)], nil)
			}
			return nil
		}),
		both("stream-open", func() error {
			r, err := b.key.Decrypt(bytes.NewReader(sealed.Bytes()), nil)
			if err != nil {
				return err
			}
			n, err := io.Copy(io.Discard, r)
			return errors.Join(err, whole(n, s.streamBytes))
		}, func() error {
			for i, c := range blocks {
				if _, err := aead.Open(buffer, nonce(i), c, nil); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

func prepared(c measure.Contender, prepare func(context.Context) error) measure.Contender {
	c.Prepare = prepare
	return c
}

func nonce(i int) []byte { return binary.BigEndian.AppendUint64(make([]byte, 4, 12), uint64(i)) }

func whole(got, want int64) error {
	if got != want {
		return fmt.Errorf("%d bytes came out of a stream of %d", got, want)
	}
	return nil
}
