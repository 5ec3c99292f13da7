package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"
	"github.com/veilchart/veilchart/sse"
)

// ErrUnconditional is returned by Open for a service that ignores, or does not know, the condition "create this object only if it is
// not there" (If-None-Match: *). On such a service two writers would overwrite each other's heads and lose rows. Use
// another service, or a newer version of this one.
var ErrUnconditional = errors.New("the service does not honour conditional writes")

// errTaken says that the object to be created is there, and somebody else's.
var errTaken = errors.New("the object exists")

// code is the S3 error code of what a service answered, or "" if it did not answer.
func code(err error) string {
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return ""
	}
	switch r.StatusCode { // some services and all HEAD requests give no better code
	case http.StatusPreconditionFailed:
		return minio.PreconditionFailed
	case http.StatusRequestedRangeNotSatisfiable:
		return minio.InvalidRange
	}
	return r.Code
}

// definite reports whether the service itself said no, so that nothing was stored.
func definite(err error) bool {
	var r minio.ErrorResponse
	return errors.As(err, &r) && r.StatusCode >= 400 && r.StatusCode < 500 && r.StatusCode != http.StatusRequestTimeout && code(err) != minio.NoSuchUpload
}

// advice is what to do about errors that somebody has to do something about.
var advice = map[string]string{
	minio.AccessDenied:             "the credentials may not do this: give them the actions that the package documentation lists, on the bucket and on its objects",
	"AllAccessDisabled":            "the account or bucket is disabled: ask whoever runs the service",
	minio.NoSuchBucket:             "there is no such bucket: make it first, or correct its name or the endpoint",
	"InvalidAccessKeyId":           "the service does not know the access key: correct the credentials",
	"XAdminUserNotFound":           "the service does not know the access key: correct the credentials", // versitygw
	"SignatureDoesNotMatch":        "the secret key is wrong, or something between here and the service changes requests: correct the credentials",
	"InvalidToken":                 "the session token is wrong: get new credentials",
	"ExpiredToken":                 "the session token has expired: get new credentials",
	"RequestTimeTooSkewed":         "the clock of this machine and that of the service differ by more than 15 minutes: set the clock",
	"RequestExpired":               "the clock of this machine and that of the service differ: set the clock",
	"AuthorizationHeaderMalformed": "the bucket is in another region: set Region in minio.Options",
	"PermanentRedirect":            "the bucket is in another region: use that region's endpoint",
	"NotImplemented":               "the service does not know this kind of request: use a newer version or another service",
	"SlowDown":                     "the service is overloaded and was asked several times: wait, then try again",
	"QuotaExceeded":                "the quota of the bucket is used up: raise it, or delete something",
	"EntityTooLarge":               "the service limits the size of objects: raise the limit",
	"InvalidObjectState":           "the object was moved to an archive: restore it, and exclude the store's prefix from the lifecycle rule",
}

// explain wraps what a request ended with: what was tried, where, the cause, and what to do.
func (s *Store) explain(ctx context.Context, what, key string, err error) error {
	if e := ctx.Err(); e != nil {
		return e
	}
	c := code(err)
	switch c {
	case minio.NoSuchKey, "NotFound", "NoSuchVersion":
		return fmt.Errorf("sse/s3: %s %s: %w (%w)", what, s.path(key), sse.ErrMissing, err)
	case "":
		return fmt.Errorf("sse/s3: %s %s: %w: see that the service runs and can be reached, then try again", what, s.path(key), err)
	}
	if do, ok := advice[c]; ok {
		return fmt.Errorf("sse/s3: %s %s: %s (%s: %w)", what, s.path(key), do, c, err)
	}
	var r minio.ErrorResponse
	if errors.As(err, &r) && r.StatusCode == http.StatusForbidden {
		return fmt.Errorf("sse/s3: %s %s: the service refuses the credentials: correct them, or have them given the right to do this (%s: %w)",
			what, s.path(key), c, err)
	}
	return fmt.Errorf("sse/s3: %s %s: the service says %s: %w", what, s.path(key), c, err)
}

func (s *Store) damaged(key string, cause error) error {
	return fmt.Errorf("sse/s3: %s: %w: %w: restore the object from a backup", s.path(key), sse.ErrDamaged, cause)
}
