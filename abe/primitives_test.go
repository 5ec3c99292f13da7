package abe

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// RFC 5869, appendix A.1 and A.3: HKDF-SHA256 as segmentKey calls it. The second has no salt and no info.
func TestHKDFVectors(t *testing.T) {
	for _, v := range []struct{ ikm, salt, info, okm string }{
		{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
			"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
		{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
			"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
	} {
		okm, err := hkdf.Key(sha256.New, unhex(t, v.ikm), unhex(t, v.salt), string(unhex(t, v.info)), len(v.okm)/2)
		require.NoError(t, err)
		require.Equal(t, v.okm, hex.EncodeToString(okm))
	}
}

// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test cases 13, 14 and 16: AES-256-GCM, which wraps payload keys and
// encrypts segments. With any one bit of key, nonce, associated data, ciphertext or tag changed it opens nothing.
func TestGCMVectors(t *testing.T) {
	for _, v := range []struct{ key, nonce, associated, plaintext, sealed string }{
		{"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
		{"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "00000000000000000000000000000000",
			"cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
		{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
			"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
			"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
	} {
		in := [][]byte{unhex(t, v.key), unhex(t, v.nonce), unhex(t, v.associated), unhex(t, v.sealed)}
		require.Equal(t, v.sealed, hex.EncodeToString(newGCM(in[0]).Seal(nil, in[1], unhex(t, v.plaintext), in[2])))
		open := func() ([]byte, error) { return newGCM(in[0]).Open(nil, in[1], in[3], in[2]) }
		plaintext, err := open()
		require.NoError(t, err)
		require.Equal(t, v.plaintext, hex.EncodeToString(plaintext))
		for which, part := range in {
			for bit := range 8 * len(part) {
				part[bit/8] ^= 1 << (bit % 8)
				_, err := open()
				require.Error(t, err, "part %d, bit %d", which, bit)
				part[bit/8] ^= 1 << (bit % 8)
			}
		}
		in[3] = in[3][:len(in[3])-1]
		_, err = open()
		require.Error(t, err, "a tag of 15 bytes")
	}
}

// derive and the coins against another implementation of SHAKE256 (FIPS 202), Python's hashlib: shake_256 of the lengths and parts.
func TestDeriveVectors(t *testing.T) {
	k, f := derive(labelKey, []byte("sigma"), nil, []byte("companion")), derive(labelFingerprint, nil)
	require.Equal(t, "274d97ddb544b18b3b84b582e5796f02c35c95fb6550e2c5e79625d8f39ba82d", hex.EncodeToString(k[:]))
	require.Equal(t, "5dd96afb6c05e8e00260d364d705b2837594573b46c30bc7ab4965714026d5b0", hex.EncodeToString(f[:]))
	tape := make([]byte, 200) // more than one block of the sponge
	xof(labelCoins, []byte("sigma"), []byte("pre")).Read(tape)
	require.Equal(t, "d23c8c3f6afbbe6ab4d42e834a5a602b20643d95020912b5c44caffb9fb0a7b1", hex.EncodeToString(tape[168:]))
}

// RFC 8032, section 7.1, test 1, and signatures that are no canonical encoding: approvals of issuers must have one form.
func TestEd25519Vectors(t *testing.T) {
	signer := ed25519.NewKeyFromSeed(unhex(t, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
	public := signer.Public().(ed25519.PublicKey)
	require.Equal(t, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", hex.EncodeToString(public))
	signature := ed25519.Sign(signer, nil)
	require.Equal(t, "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b", hex.EncodeToString(signature))
	require.True(t, ed25519.Verify(public, nil, signature))
	plusOrder := unhex(t, "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901554c8c7872aa064e049dbb3013fbf29380d25bf5f0595bbe24655141438e7a101b")
	require.False(t, ed25519.Verify(public, nil, plusOrder), "S + L is the same number modulo L")
	for bit := range 8 * len(signature) {
		changed := bytes.Clone(signature)
		changed[bit/8] ^= 1 << (bit % 8)
		require.False(t, ed25519.Verify(public, nil, changed), "bit %d", bit)
	}
	require.False(t, ed25519.Verify(public, nil, make([]byte, ed25519.SignatureSize)))
}
