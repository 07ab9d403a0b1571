package port

import (
	"errors"
	"net/http"
)

// Temporary says whether the same call may succeed later without anybody's
// doing: Port could not be reached, or had trouble of its own.
func Temporary(err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.StatusCode >= http.StatusInternalServerError || e.StatusCode == http.StatusTooManyRequests || e.StatusCode == http.StatusRequestTimeout
	}
	var c *callError
	return errors.As(err, &c)
}
