/* Everything a page may need, wired by what stands in it. */

import "./theme.js";
import "./ago.js";
import "./toast.js";
import "./dialog.js";
import "./drawer.js";
import "./bulk.js";
import "./clipboard.js";
import "./keys.js";
import "./forms.js";
import "./upload.js";
import "./live.js";
