/** Brings models and data from elsewhere into storage: repositories of a model hub, plain urls, folders of object storage. */
package io.vlmoperator.trainer.fetch;
