//! Public HTTP: problems, extractors, paging and the OpenAPI document.
