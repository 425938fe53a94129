const cds = require('@sap/cds')

cds.on('served', async () => {
  const messaging = await cds.connect.to('messaging')
  messaging.on('greeting', msg => console.log('consumed', msg.data.text))
  cds.spawn({ every: 2000 }, () => messaging.emit('greeting', { text: 'hello' }))
})
